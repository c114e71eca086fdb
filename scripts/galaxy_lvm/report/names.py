"""Names of the models of Tables 1 to 4; nothing heavy is imported here."""

MODEL_NAMES = {
    "blurred": "blurred images (input)",
    "masked": "masked images (input)",
    "hog_logistic": "HOG + logistic regression",
    "wiener_mean_psf": "Wiener filter, PSF of mean width",
    "richardson_lucy": "Richardson-Lucy, known PSF",
    "wiener": "Wiener filter, known PSF and noise",
    "inpainting_telea": "inpainting (Telea)",
    "inpainting_navier_stokes": "inpainting (Navier-Stokes)",
    "inpainting_biharmonic": "inpainting (biharmonic)",
    "pre_train": "LVM, pre_train (frozen encoder)",
    "multi_uniform": "LVM, multi_uniform",
    "multi_active": "LVM, multi_active",
    "from_scratch": "multi_uniform without pretraining",
}
INPUTS = ("blurred", "masked")
NETWORKS = ("pre_train", "multi_uniform", "multi_active", "from_scratch")
CLASSICAL = tuple(name for name in MODEL_NAMES if name not in (*INPUTS, *NETWORKS))
