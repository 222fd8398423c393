"""LINE's Messaging API as the sandbox plays it."""
