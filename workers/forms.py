"""What may be uploaded."""

from django import forms
from django.core.files.uploadedfile import UploadedFile

from workers import images


class ImageForm(forms.Form):
    image = forms.FileField(
        label="Image",
        help_text=f"{', '.join(images.FORMATS)}; up to {images.MAX_BYTES // 2**20} MiB "
        f"and {images.MAX_PIXELS // 10**6} million pixels.",
        widget=forms.FileInput(
            attrs={"accept": ",".join(f"image/{name.lower()}" for name in images.FORMATS)}
        ),
    )

    def clean_image(self) -> "UploadedFile[bytes]":
        file: UploadedFile[bytes] = self.cleaned_data["image"]
        if file.size is None or file.size > images.MAX_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {images.MAX_BYTES // 2**20} MiB.", code="too_large"
            )
        try:
            images.inspect(file)
        except images.ImageRefused as refusal:
            raise forms.ValidationError(str(refusal), code="refused") from refusal
        file.seek(0)
        return file
