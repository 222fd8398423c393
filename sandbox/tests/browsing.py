"""What people do on the sandbox's pages."""


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()
