"""Every address of the house."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from couponadmin import views

handler403 = "couponadmin.views.forbidden"
handler500 = "couponadmin.views.failed"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("media/campaigns/<str:name>", views.media, name="media"),
    path("media/barcodes/<str:name>", views.barcode_picture, name="barcode_picture"),
    path("media/shop/<str:name>", views.shop_picture, name="shop_picture"),
    path("admin/", admin.site.urls),
    path("c/", include("coupons.urls")),
    path("store/", include("coupons.store_urls")),
    path("hooks/", include("sync.urls")),
]
