"""Addresses that providers call."""

from django.urls import path

from sync import views

app_name = "hooks"
urlpatterns = [
    path("line/<slug:hook_key>/", views.line, name="line"),
    path("paddle/<slug:hook_key>/", views.paddle, name="paddle"),
    path("vivoldi/<slug:hook_key>/", views.vivoldi, name="vivoldi"),
]
