"""Strong lenses in wide fields: Mask R-CNN on the LVM's encoder and on ResNet50 (paper IV.B).

Inputs: the pretrained weights; fields are simulated here, or cut around published candidates.
Outputs: data/lens_fields/fields.h5 (+ .parquet of lenses), models/lenses/*.safetensors,
predictions/lenses/*.parquet, metrics/lenses.csv, figure 6 and its curves, the table.
Steps: simulate_fields or import_fields, plot_fields, train_detector per backbone and number of
fields, evaluate_detectors, plot_detectors, plot_detector_curves; detect_lenses on own images.
"""

from galaxy_lvm.core.config.lenses import (
    DetectorTraining,
    Evaluation,
    FieldPlan,
    MockFields,
    detector_runs,
)
from galaxy_lvm.core.config.survey import Service, MockSky
from galaxy_lvm.survey.image_state import images_state

DETECTOR, LENS_SEARCH = config["lenses"]["detector"], config["lenses"]["search"]


def candidate_tables(wildcards):
    """Return the tables of lens candidates that lie on this machine; others are downloaded."""
    tables = config["lenses"]["candidates"]["tables"]
    return [table for table in tables if not table.startswith(("http://", "https://"))]


def detector_weights(wildcards):
    """Return the LVM's weights for a detector on its encoder; other backbones need none."""
    return {"lvm": DETECTOR["lvm_weights"] or LVM_WEIGHTS} if wildcards.backbone == "lvm" else {}


LENS_RUNS = detector_runs(DETECTOR, config["seed"])

LENS_SEARCH_WEIGHTS = (
    f"{RUN}/models/lenses/{LENS_SEARCH['backbone']}_{max(DETECTOR['train_sizes'])}_0.safetensors"
)

DETECTOR_ENV = (
    str(Path(workflow.basedir) / "envs" / "detectron2.yaml")
    if DETECTOR["backend"] == "detectron2"
    else TRAIN_ENV
)

DETECTIONS = expand(
    f"{RUN}/predictions/lenses/{{backbone}}_{{n_train}}_{{part}}.parquet",
    backbone=DETECTOR["backbones"],
    n_train=DETECTOR["train_sizes"],
    part=range(DETECTOR["n_seeds"]),
)


if config["lenses"]["fields"]["source"] == "mock":

    rule simulate_fields:
        """Simulate wide fields with strong lenses: images, true boxes and masks."""
        output:
            fields=f"{LENS_FIELDS}/fields.h5",
            lenses=f"{LENS_FIELDS}/fields.parquet",
        log:
            f"{LOGS}/simulate_fields.log",
        benchmark:
            f"{RUN}/benchmarks/simulate_fields.tsv"
        priority: 25  # as simulate_survey
        conda:
            CPU_ENV
        threads: config["resources"]["data_threads"]
        resources:
            mem_mb=growing(4000),
            runtime=60,
        params:
            plan=part_of(MockFields, config["lenses"]["fields"]),
            # Seeing, depth and what else is in the sky are those of the simulated survey.
            survey=part_of(MockSky, config["mock"]),
            seed=config["seed"],
            recipe_version=1,
        script:
            "../scripts/simulate_fields.py"


if config["lenses"]["fields"]["source"] == "candidates":

    rule import_fields:
        """Cut fields around lens candidates and beside them; measure the lenses' masks."""
        input:
            tables=candidate_tables,
        output:
            fields=f"{LENS_FIELDS}/fields.h5",
            lenses=f"{LENS_FIELDS}/fields.parquet",
            rejected=report(
                f"{LENS_FIELDS}/rejected_fields.csv",
                caption="../report/rejected_fields.rst",
                category="6 Strong lenses",
                labels={"what": "Candidates and fields that could not be used"},
            ),
        log:
            f"{LOGS}/import_fields.log",
        benchmark:
            f"{RUN}/benchmarks/import_fields.tsv"
        conda:
            CPU_ENV
        threads: 1
        resources:
            mem_mb=growing(6000),
            runtime=720,
        params:
            cache_dir=f"{STATE}/legacysurvey",
            fields=part_of(FieldPlan, config["lenses"]["fields"]),
            candidates=config["lenses"]["candidates"],
            service=part_of(Service, config["legacysurvey"]),
            seed=config["seed"],
            recipe_version=2,
        script:
            "../scripts/import_fields.py"


rule plot_fields:
    """Contact sheet of lens fields with boxes and masks, from the clearest to the faintest."""
    input:
        fields=f"{LENS_FIELDS}/fields.h5",
        lenses=f"{LENS_FIELDS}/fields.parquet",
    output:
        figure=f"{RUN}/figures/lens_fields.pdf",
        figure_png=report(
            f"{RUN}/figures/lens_fields.png",
            caption="../report/lens_fields.rst",
            category="6 Strong lenses",
            labels={"what": "Fields with strong lenses"},
        ),
    log:
        f"{LOGS}/plot_fields.log",
    benchmark:
        f"{RUN}/benchmarks/plot_fields.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=10,
    params:
        seed=config["seed"],
        code=code_of("plot_fields"),
    script:
        "../scripts/plot_fields.py"


rule check_lens_masks:
    """Measure masks of simulated lenses as those of real candidates; compare with the true ones."""
    input:
        fields=f"{LENS_FIELDS}/fields.h5",
        lenses=f"{LENS_FIELDS}/fields.parquet",
    output:
        metrics=f"{RUN}/metrics/lens_masks.csv",
        figure=f"{RUN}/figures/lens_masks.pdf",
        png=report(
            f"{RUN}/figures/lens_masks.png",
            caption="../report/lens_masks.rst",
            category="6 Strong lenses",
            labels={"what": "Measured masks against true ones"},
        ),
    log:
        f"{LOGS}/check_lens_masks.log",
    benchmark:
        f"{RUN}/benchmarks/check_lens_masks.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=30,
    params:
        settings=config["lenses"]["candidates"]["mask"],
        seed=config["seed"],
        recipe_version=1,
    script:
        "../scripts/check_lens_masks.py"


rule train_detector:
    """Train Mask R-CNN on one backbone and search the test fields; resumes after a kill."""
    input:
        unpack(detector_weights),
        fields=f"{LENS_FIELDS}/fields.h5",
        lenses=f"{LENS_FIELDS}/fields.parquet",
    output:
        weights=f"{RUN}/models/lenses/{{backbone}}_{{n_train}}_{{part}}.safetensors",
        card=f"{RUN}/models/lenses/{{backbone}}_{{n_train}}_{{part}}.json",
        history=f"{RUN}/models/lenses/{{backbone}}_{{n_train}}_{{part}}_history.csv",
        detections=f"{RUN}/predictions/lenses/{{backbone}}_{{n_train}}_{{part}}.parquet",
    log:
        f"{LOGS}/train_detector/{{backbone}}_{{n_train}}_{{part}}.log",
    benchmark:
        f"{RUN}/benchmarks/train_detector/{{backbone}}_{{n_train}}_{{part}}.tsv"
    conda:
        DETECTOR_ENV
    threads: config["resources"]["detector_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["detector_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        settings=part_of(DetectorTraining, DETECTOR),
        seed=training_seed,
        state_root=f"{STATE}/train_detector",
        n_gpus=min(1, config["gpus"]),
        recipe_version=2,
    script:
        "../scripts/train_detector.py"


rule evaluate_detectors:
    """Score the lens detectors on the test fields: AP, purity, completeness, with intervals."""
    input:
        fields=f"{LENS_FIELDS}/fields.h5",
        lenses=f"{LENS_FIELDS}/fields.parquet",
        detections=DETECTIONS,
        paper=workflow.source_path("../config/paper_values.csv"),
    output:
        metrics=f"{RUN}/metrics/lenses.csv",
        curves=f"{RUN}/metrics/lenses_curves.csv",
        table=f"{RUN}/tables/lens_detection.csv",
        table_html=report(
            f"{RUN}/tables/lens_detection.html",
            caption="../report/table_lenses.rst",
            category="6 Strong lenses",
            labels={"what": "Table: lens detectors"},
        ),
    log:
        f"{LOGS}/evaluate_detectors.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_detectors.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        runs=LENS_RUNS,
        settings=part_of(Evaluation, config["lenses"]["evaluation"]),
        seed=config["seed"],
        code=code_of("evaluate_detectors"),
    script:
        "../scripts/evaluate_detectors.py"


rule plot_detectors:
    """Figure 6: the same fields with each detector's findings."""
    input:
        fields=f"{LENS_FIELDS}/fields.h5",
        lenses=f"{LENS_FIELDS}/fields.parquet",
        detections=DETECTIONS,
        metrics=f"{RUN}/metrics/lenses.csv",
    output:
        pdf=f"{RUN}/figures/fig06_lens_detection.pdf",
        png=report(
            f"{RUN}/figures/fig06_lens_detection.png",
            caption="../report/fig06.rst",
            category="6 Strong lenses",
            labels={"what": "Figure 6: detected lenses by backbone"},
        ),
    log:
        f"{LOGS}/plot_detectors.log",
    benchmark:
        f"{RUN}/benchmarks/plot_detectors.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        runs=LENS_RUNS,
        n_examples=config["lenses"]["evaluation"]["n_examples"],
        code=code_of("plot_detectors"),
    script:
        "../scripts/plot_detectors.py"


rule plot_detector_curves:
    """Purity and completeness of the detectors, and what training fields are worth."""
    input:
        metrics=f"{RUN}/metrics/lenses.csv",
        curves=f"{RUN}/metrics/lenses_curves.csv",
        table=f"{RUN}/tables/lens_detection.csv",
    output:
        pdf=f"{RUN}/figures/lens_detection_curves.pdf",
        png=report(
            f"{RUN}/figures/lens_detection_curves.png",
            caption="../report/lens_curves.rst",
            category="6 Strong lenses",
            labels={"what": "Purity, completeness, training fields"},
        ),
    log:
        f"{LOGS}/plot_detector_curves.log",
    benchmark:
        f"{RUN}/benchmarks/plot_detector_curves.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        runs=LENS_RUNS,
        code=code_of("plot_detector_curves"),
    script:
        "../scripts/plot_detector_curves.py"


rule detect_lenses:
    """Search the user's images or positions for lenses; resumes with the next image after a kill."""
    input:
        weights=LENS_SEARCH_WEIGHTS,
        metrics=f"{RUN}/metrics/lenses.csv",
        source=LENS_SEARCH["images"] or LENS_SEARCH["positions"] or [],
    output:
        table=f"{RUN}/tables/lens_search.csv",
        rejected=report(
            f"{RUN}/data/lens_search/rejected.csv",
            caption="../report/rejected_fields.rst",
            category="6 Strong lenses",
            labels={"what": "Images that could not be searched"},
        ),
        gallery=f"{RUN}/figures/lens_search.pdf",
        gallery_png=report(
            f"{RUN}/figures/lens_search.png",
            caption="../report/lens_search.rst",
            category="6 Strong lenses",
            labels={"what": "Lenses found in new images"},
        ),
    log:
        f"{LOGS}/detect_lenses.log",
    benchmark:
        f"{RUN}/benchmarks/detect_lenses.tsv"
    conda:
        TRAIN_ENV
    threads: config["resources"]["features_threads"]
    resources:
        mem_mb=growing(config["resources"]["train_mem_mb"]),
        runtime=config["resources"]["features_runtime_min"],
        gpu=min(1, config["gpus"]),
        nodes=1,
    params:
        images=images_state(str(LENS_SEARCH["images"] or "")),
        settings=LENS_SEARCH,
        service=part_of(Service, config["legacysurvey"]),
        state_root=f"{STATE}/detect_lenses",
        recipe_version=2,
    script:
        "../scripts/detect_lenses.py"
