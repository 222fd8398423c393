"""The form's field for a campaign's image: choose a file, choose a square of it."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.images import ADVISED_SIDE, MAX_BYTES, MAX_PIXELS, MAX_SIDE, clean_image


class CropWidget(forms.ClearableFileInput):
    """A file with the square that was chosen of it.

    The square travels in a field of its own, `<name>_crop`, and is put on the upload as
    `crop`. Without script it stays empty.
    """

    clear_checkbox_label = gettext_lazy("Remove this picture")  # type: ignore[assignment]
    was_chosen = False
    crop = ""

    class Media:
        css = {"all": ["campaigns/crop.css"]}
        js = [forms.Script("campaigns/crop.js", type="module")]

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        upload = super().value_from_datadict(data, files, name)
        if isinstance(upload, UploadedFile):
            # One of the second kind was kept by us, with the rest of its form.
            self.was_chosen = not isinstance(upload, SimpleUploadedFile)
            self.crop = data.get(f"{name}_crop", "")
            upload.crop = self.crop  # type: ignore[attr-defined]
        return upload

    def get_context(
        self, name: str, value: Any, attrs: dict[str, Any] | None
    ) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["attrs"]["accept"] = ".jpg,.jpeg,.png,image/jpeg,image/png"
        return context | {
            "crop_name": f"{name}_crop",
            "crop": self.crop,
            # A browser keeps no file that was sent with a form that has to be sent again.
            "is_chosen_again": self.was_chosen,
            "saved": saved_picture(value) if self.is_initial(value) else None,
            "limits": {
                "bytes": MAX_BYTES,
                "side": MAX_SIDE,
                "pixels": MAX_PIXELS,
                "advised": ADVISED_SIDE,
            },
            "words": words(),
        }

    def render(
        self, name: str, value: Any, attrs: Any = None, renderer: Any = None
    ) -> SafeString:
        context = self.get_context(name, value, attrs)
        return render_to_string("campaigns/_image.html", context)


class PictureField(forms.FileField):
    """An image as `clean_image` makes it of the upload and the chosen square."""

    widget = CropWidget

    def __init__(self, **options: Any) -> None:
        # The name is never kept; an empty file gets our own words.
        super().__init__(max_length=None, allow_empty_file=True, **options)

    def clean(self, data: Any, initial: Any = None) -> Any:
        if not isinstance(data, UploadedFile):
            return super().clean(data, initial)
        return clean_image(data, getattr(data, "crop", ""))


def saved_picture(image: Any) -> dict[str, str]:
    """What is shown of the saved picture; its file may be gone from the disk."""
    try:
        side = min(image.width, image.height)
    except (OSError, TypeError):
        return {"missing": _("Its file is gone from the server. Upload it again.")}
    small = words()["small"] % {"side": side} if side < ADVISED_SIDE else ""
    return {"url": image.url, "small": small}


def words() -> dict[str, str]:
    """What the script says; it fills in the numbers."""
    return {
        "small": _(
            "Only %(side)s pixels wide and high, so it may look blurred. 640 or more are "
            "advised."
        ),
        "place": _("Left %(left)s, top %(top)s, %(side)s pixels wide and high."),
        "bytes": _(
            "This file is too large: %(size)s bytes, and %(most)s (1 MB) is the most. It "
            "was not taken."
        ),
        "pixels": _(
            "This picture has too many pixels: %(width)s × %(height)s. At most %(side)s "
            "on each side and %(pixels)s million in all are taken. It was not taken."
        ),
        "unreadable": _(
            "This file can't be shown as a picture. Choose a JPG or a PNG."
        ),
    }
