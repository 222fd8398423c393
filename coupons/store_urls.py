"""Addresses of the store's screen, under /store/."""

from django.urls import path

from coupons.views import counter

app_name = "store"

urlpatterns = [
    path("", counter.home, name="home"),
    path("sign-in", counter.SignIn.as_view(), name="sign_in"),
    path("sign-out", counter.SignOut.as_view(), name="sign_out"),
    path("<int:store_id>/", counter.scan, name="scan"),
    path("<int:store_id>/check", counter.check, name="check"),
    path("<int:store_id>/answer/<uuid:scan_id>", counter.answer, name="answer"),
    path("<int:store_id>/today", counter.today, name="today"),
    path(
        "<int:store_id>/take-back/<int:verification_id>",
        counter.take_back,
        name="take_back",
    ),
]
