"""Tables, figures and the report: views of the metrics, never a source of numbers.

Inputs: metrics/*.csv, trained weights, config/paper_values.csv.
Outputs: tables/*, figures/*, shown by `snakemake --report`.
Steps: make_tables, make_summary, draw_diagrams, plot_survey, plot_reconstruction, plot_training.
"""


rule make_tables:
    """Tables 1 to 4 beside the paper's numbers, and whether the paper's claims hold here."""
    input:
        metrics=TABLE_METRICS,
        per_galaxy=TABLE_GALAXIES,
        paper=workflow.source_path("../config/paper_values.csv"),
        code=[
            workflow.source_path("../scripts/galaxy_lvm/report/tables.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/differences.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/verdicts.py"),
            workflow.source_path("../scripts/galaxy_lvm/multitask/tables.py"),
            workflow.source_path("../scripts/galaxy_lvm/multitask/claims.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/names.py"),
        ],
    output:
        TABLES.values(),
        table1=report(
            f"{RUN}/tables/table1_classification.html",
            caption="../report/table1.rst",
            category="2 Tables",
            labels={"what": "Table 1: classification"},
        ),
        table2=report(
            f"{RUN}/tables/table2_restoration.html",
            caption="../report/table2.rst",
            category="2 Tables",
            labels={"what": "Table 2: restoration"},
        ),
        table3=report(
            f"{RUN}/tables/table3_reconstruction.html",
            caption="../report/table3.rst",
            category="2 Tables",
            labels={"what": "Table 3: reconstruction"},
        ),
        table4=report(
            f"{RUN}/tables/table4_patch_size.html",
            caption="../report/table4.rst",
            category="2 Tables",
            labels={"what": "Table 4: reconstruction by patch size"},
        ),
        claims=f"{RUN}/tables/claims.csv",
    log:
        f"{LOGS}/make_tables.log",
    benchmark:
        f"{RUN}/benchmarks/make_tables.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/make_tables.py"


rule make_summary:
    """The paper and this run on one page: Tables 1 to 4, figures 5, 6 and 10, every claim."""
    input:
        metrics=TABLE_METRICS,
        claims=[f"{RUN}/tables/claims.csv", f"{RUN}/tables/hitl_claims.csv"],
        few_shot=f"{RUN}/metrics/fewshot.csv",
        few_shot_predictions=FEWSHOT_PREDICTIONS,
        few_shot_table=f"{RUN}/tables/fewshot.csv",
        detector_metrics=f"{RUN}/metrics/lenses.csv" if LENSES else [],
        detectors=LENSES.get("lens_table", []),
        hitl=f"{RUN}/tables/fig10_hitl.csv",
        paper=workflow.source_path("../config/paper_values.csv"),
        code=[
            workflow.source_path("../scripts/galaxy_lvm/fewshot/claims.py"),
            workflow.source_path("../scripts/galaxy_lvm/lenses/claims.py"),
            workflow.source_path("../scripts/galaxy_lvm/hitl/claims.py"),
            workflow.source_path("../scripts/galaxy_lvm/multitask/tables.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/differences.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/verdicts.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/summary.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/tables.py"),
            workflow.source_path("../scripts/galaxy_lvm/report/names.py"),
        ],
    output:
        text=f"{RUN}/tables/summary.md",
        page=report(
            f"{RUN}/tables/summary.html",
            caption="../report/summary.rst",
            category="0 Summary",
            labels={"what": "paper and this run"},
        ),
    log:
        f"{LOGS}/make_summary.log",
    benchmark:
        f"{RUN}/benchmarks/make_summary.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        few_shot_models=config["fewshot"]["models"],
    script:
        "../scripts/make_summary.py"


rule draw_diagrams:
    """Figures 1 to 3: the LVM, its Swin layers and multitask training, from the built objects."""
    input:
        splits=f"{TASKS_DATA}/splits.parquet",
        code=workflow.source_path("../scripts/galaxy_lvm/lvm/model.py"),
    output:
        fig01=f"{RUN}/figures/fig01_lvm.pdf",
        fig01_png=report(
            f"{RUN}/figures/fig01_lvm.png",
            caption="../report/fig01.rst",
            category="3 Figures",
            labels={"what": "Figure 1: LVM"},
        ),
        fig02=f"{RUN}/figures/fig02_swin_layers.pdf",
        fig02_png=report(
            f"{RUN}/figures/fig02_swin_layers.png",
            caption="../report/fig02.rst",
            category="3 Figures",
            labels={"what": "Figure 2: Swin layers"},
        ),
        fig03=f"{RUN}/figures/fig03_multitask.pdf",
        fig03_png=report(
            f"{RUN}/figures/fig03_multitask.png",
            caption="../report/fig03.rst",
            category="3 Figures",
            labels={"what": "Figure 3: multitask training"},
        ),
    log:
        f"{LOGS}/draw_diagrams.log",
    benchmark:
        f"{RUN}/benchmarks/draw_diagrams.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        lvm_settings=config["lvm"],
        sections=TASK_SECTIONS,
    script:
        "../scripts/draw_diagrams.py"


rule plot_reconstruction:
    """Figure 4, and examples of restored images."""
    input:
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
        weights=f"{RUN}/models/multitask/multi_active.safetensors",
    output:
        figure=f"{RUN}/figures/fig04_reconstruction.pdf",
        figure_png=report(
            f"{RUN}/figures/fig04_reconstruction.png",
            caption="../report/fig04.rst",
            category="3 Figures",
            labels={"what": "Figure 4: reconstruction"},
        ),
        restoration_figure=f"{RUN}/figures/restoration_examples.pdf",
        restoration_figure_png=report(
            f"{RUN}/figures/restoration_examples.png",
            caption="../report/restoration.rst",
            category="3 Figures",
            labels={"what": "Restored images"},
        ),
    log:
        f"{LOGS}/plot_reconstruction.log",
    benchmark:
        f"{RUN}/benchmarks/plot_reconstruction.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        seed=config["seed"],
        baselines=config["baselines"],
    script:
        "../scripts/plot_reconstruction.py"


rule plot_training:
    """Shares, lags and scores while training; objectives; confusion; labels to look at again."""
    input:
        strategies=expand(f"{RUN}/models/multitask/{{strategy}}_history.csv", strategy=STRATEGIES),
        variants=expand(f"{RUN}/models/pretrain/{{variant}}/history.csv", variant=VARIANTS),
        objectives=f"{RUN}/metrics/objectives.csv",
        predictions=f"{RUN}/predictions/multitask.parquet",
        crops=f"{TASKS_DATA}/crops.h5",
        code=[
            workflow.source_path("../scripts/galaxy_lvm/multitask/disagreement_figure.py"),
            workflow.source_path("../scripts/galaxy_lvm/multitask/disagreements.py"),
        ],
    output:
        training=f"{RUN}/figures/multitask_training.pdf",
        training_png=report(
            f"{RUN}/figures/multitask_training.png",
            caption="../report/training.rst",
            category="4 Training",
            labels={"what": "Shares and lags of the tasks"},
        ),
        objectives=f"{RUN}/figures/objectives.pdf",
        objectives_png=report(
            f"{RUN}/figures/objectives.png",
            caption="../report/objectives.rst",
            category="4 Training",
            labels={"what": "Pretraining objectives"},
        ),
        classification=f"{RUN}/figures/classification.pdf",
        classification_png=report(
            f"{RUN}/figures/classification.png",
            caption="../report/classification.rst",
            category="4 Training",
            labels={"what": "Confusion and calibration"},
        ),
        disagreements=f"{RUN}/figures/label_disagreements.pdf",
        disagreements_png=report(
            f"{RUN}/figures/label_disagreements.png",
            caption="../report/disagreements.rst",
            category="4 Training",
            labels={"what": "Labels to look at again"},
        ),
        disagreements_table=f"{RUN}/tables/label_disagreements.csv",
        table=f"{RUN}/tables/objectives.csv",
        table_html=report(
            f"{RUN}/tables/objectives.html",
            caption="../report/objectives.rst",
            category="4 Training",
            labels={"what": "Table of pretraining objectives"},
        ),
    log:
        f"{LOGS}/plot_training.log",
    benchmark:
        f"{RUN}/benchmarks/plot_training.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        strategies=STRATEGIES,
        variants=VARIANTS,
        in_use=MAIN_VARIANT,
    script:
        "../scripts/plot_training.py"
