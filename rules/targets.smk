"""One target for every table and figure: `snakemake NAME` makes what it needs, and no more."""


# On a cluster these run where Snakemake runs: seconds each, less than 4 GB, and a job's way through the
# queue would take longer. A test keeps this list to the rules that ask for 20 minutes at most.
localrules:
    plot_interfaces,
    plot_stellar_parameters,
    plot_scaling,
    plot_alignment,
    plot_joint,
    plot_real,
    plot_layers,
    plot_wise_sources,
    plot_wise,
    render_noise_free,
    plot_catalogue,
    plot_survey,
    plot_health,
    plot_parameters,
    plot_outliers,
    plot_oddities,
    plot_unusual,
    plot_similar,
    plot_feature_map,
    tabulate_fewshot,
    plot_fewshot,
    plot_fewshot_predictions,
    plot_hitl_targets,
    draw_hitl_module,
    plot_hitl_comparison,
    plot_hitl_discovery,
    plot_hitl_alpha,
    plot_fields,
    plot_detectors,
    plot_detector_curves,
    release_encoder,
    make_tables,
    make_summary,
    compare_with_paper,
    record_provenance,
    draw_lvm,
    draw_multitask,
    plot_reconstruction,
    plot_strategies,
    plot_objectives,
    plot_confusion,
    plot_disagreements,


localrules:
    table1,
    table2,
    table3,
    table4,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fewshot,
    fig6,
    lenses,
    fig7,
    fig8,
    fig9,
    fig10,
    extensions,
    survey,
    health,
    crops,
    training,
    objectives,
    release,
    confusion,
    disagreements,
    catalogue,
    hitl_discovery,
    hitl_alpha,
    parameters,
    outliers,
    oddities,
    unusual,
    similar,
    feature_map,
    lens_table,
    lens_curves,
    lens_fields,
    lens_masks,
    summary,
    spectra,
    scaling,
    align,
    joint,
    joint_real,
    layers,
    layers_lvm,
    wise,
    wise_sources,
    multimodal,


# Chapters beside the images, by their targets; config["beside"] names those that every run of `all` makes.
CHAPTERS = {
    "spectra": list(SPECTRA.values()),
    "align": list(ALIGN.values()),
    "joint": list(JOINT.values()),
    "layers": list(LAYERS.values()),
    "wise_sources": [WISE["wise_sources"]],
    "wise": list(WISE.values()),
}


rule table1:
    """Table 1: classification by training strategy."""
    input:
        TABLES["table1"],


rule table2:
    """Table 2: restoration of blurred, noisy images."""
    input:
        TABLES["table2"],


rule table3:
    """Table 3: reconstruction of masked images."""
    input:
        TABLES["table3"],


rule table4:
    """Table 4: reconstruction by patch size."""
    input:
        TABLES["table4"],


rule fig1:
    """Figure 1: the LVM."""
    input:
        FIGURES["fig1"],


rule fig2:
    """Figure 2: two Swin-Transformer layers."""
    input:
        FIGURES["fig2"],


rule fig3:
    """Figure 3: multitask training."""
    input:
        FIGURES["fig3"],


rule fig4:
    """Figure 4: reconstructed images by patch size and hidden share."""
    input:
        FIGURES["fig4"],


rule fig5:
    """Figure 5: few-shot classification by number of labels."""
    input:
        FIGURES["fig5"],


rule fewshot:
    """Few labels: figure 5, the table, labels saved, confusion and calibration."""
    input:
        f"{RUN}/tables/fewshot.csv",
        FIGURES["fig5"],
        FIGURES["fewshot_confusion"],
        FIGURES["fewshot_reliability"],


rule fig6:
    """Figure 6: strong lenses found on two backbones."""
    input:
        LENSES["fig6"] if LENSES else [],


rule lenses:
    """Strong lenses: fields, detectors, their scores and figure 6."""
    input:
        LENSES.values(),


rule fig7:
    """Figure 7: prompts and what the loop recommends after some rounds."""
    input:
        FIGURES["fig7"],


rule fig8:
    """Figure 8: the human in the loop."""
    input:
        FIGURES["fig8"],


rule fig9:
    """Figure 9: the labelling page and the notebook's widget."""
    input:
        FIGURES["fig9"],


rule fig10:
    """Figure 10: ResNet18, LVM and LVM with people in the loop by training set."""
    input:
        FIGURES["fig10"],


rule extensions:
    """Parameters, outliers, similar galaxies and the map, all from the same features."""
    input:
        EXTENSIONS.values(),


rule survey:
    """Contact sheet of the labelled galaxies."""
    input:
        FIGURES["survey"],


rule health:
    """What became of the labelled galaxies on the way to the splits."""
    input:
        FIGURES["health"],


rule crops:
    """Cutouts beside their adaptive crops."""
    input:
        FIGURES["crops"],


rule training:
    """Shares, lags and scores of the tasks while training."""
    input:
        FIGURES["training"],


rule objectives:
    """What the pretraining objectives taught: figure and table."""
    input:
        FIGURES["objectives"],


rule release:
    """The run's encoder to give away: half precision, with its card."""
    input:
        f"{RUN}/release/released.safetensors",


rule confusion:
    """Confusion and calibration of the classifiers."""
    input:
        FIGURES["confusion"],


rule disagreements:
    """Test galaxies whose label the networks contradict."""
    input:
        FIGURES["disagreements"],


rule catalogue:
    """Classes, features, parameters of every galaxy of a dataset: table, reliability, gallery."""
    input:
        CATALOGUE.values(),
        FIGURES["catalogue_reliability"],
        FIGURES["catalogue_gallery"],


rule hitl_discovery:
    """Searches in a pool by selection rule."""
    input:
        FIGURES["hitl_discovery"],


rule hitl_alpha:
    """What alpha does."""
    input:
        FIGURES["hitl_alpha"],


rule parameters:
    """Parameters, predicted and true."""
    input:
        EXTENSIONS["parameters"],


rule outliers:
    """How well oddities put into galaxies are found."""
    input:
        EXTENSIONS["outliers"],


rule oddities:
    """Oddities put into test galaxies."""
    input:
        EXTENSIONS["oddities"],


rule unusual:
    """The most unusual galaxies."""
    input:
        EXTENSIONS["unusual"],


rule similar:
    """Galaxies beside the most similar ones."""
    input:
        EXTENSIONS["similar"],


rule feature_map:
    """Map of the features."""
    input:
        EXTENSIONS["map"],


rule lens_table:
    """Table of the lens detectors."""
    input:
        LENSES.get("lens_table", []),


rule lens_curves:
    """Purity and completeness of the lens detectors."""
    input:
        LENSES.get("lens_curves", []),


rule lens_fields:
    """Fields with strong lenses."""
    input:
        LENSES.get("lens_fields", []),


rule lens_masks:
    """Measured masks of lenses against true ones; simulated fields alone have them."""
    input:
        LENSES.get("lens_masks", []),


rule summary:
    """The paper and this run on one page."""
    input:
        f"{RUN}/tables/summary.md",
        f"{RUN}/tables/summary.json",


rule spectra:
    """Stellar parameters from spectra: figure, table and verdicts."""
    input:
        SPECTRA.values(),


rule align:
    """Two kinds of spectra aligned: search, translation, anomalies; figure, table and verdicts."""
    input:
        ALIGN.values(),


rule joint:
    """Images and spectra of the same galaxies: search, estimates from either and both, verdicts."""
    input:
        JOINT.values(),


rule joint_real:
    """Redshifts of real galaxies from photometry, and stars from spectra with magnitudes."""
    input:
        JOINT_REAL,


rule scaling:
    """Errors of stellar parameters against the number of training stars: figure and table."""
    input:
        SCALING.values(),


rule layers:
    """What is written in the weights of the spectra's Transformer: figure and table."""
    input:
        LAYERS.values(),


rule layers_lvm:
    """What is written in the weights of the pretrained LVM's encoder: a row a matrix."""
    input:
        LAYERS_LVM,


rule wise:
    """Stars, galaxies and quasars in WISE: cutouts, colours, accuracies and verdicts."""
    input:
        WISE.values(),


rule wise_sources:
    """Cutouts and measured colours of sources in WISE."""
    input:
        WISE["wise_sources"],


rule multimodal:
    """What stands beside the images: spectra, their alignment, images with spectra, layers, WISE."""
    input:
        CHAPTERS.values(),
