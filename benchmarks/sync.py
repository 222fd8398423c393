"""A first look at 5,000 coupons on LINE, a second one, and their memory: see _sync.py.

Nothing but its start: to a type checker this file and our app are both called sync.
"""

import sys

from _sync import main

if __name__ == "__main__":
    sys.exit(main())
