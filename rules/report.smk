"""Tables, figures and the report: views of the metrics, never a source of numbers.

Inputs: metrics/*.csv, trained weights, config/paper_values.csv.
Outputs: tables/*, figures/*, shown by `snakemake --report`.
Steps: make_tables, make_summary, compare_with_paper, record_provenance, one rule for every diagram and figure.
"""

from galaxy_lvm.report.comparable import differences_of_size


# One job for four tables: the claims compare rows of all of them, in pairs of seed and galaxy, and a
# second of reading would be paid four times. Each has its own short target.
rule make_tables:
    """Tables 1 to 4 beside the paper's numbers, and whether the paper's claims hold here."""
    input:
        metrics=TABLE_METRICS,
        per_galaxy=TABLE_GALAXIES,
        paper=workflow.source_path("../config/paper_values.csv"),
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
        mem_mb=growing(1000),
        runtime=10,
    params:
        code=code_of("make_tables"),
    script:
        "../scripts/make_tables.py"


rule make_summary:
    """The paper and this run on one page: Tables 1 to 4, figures 5, 6 and 10, every claim."""
    input:
        metrics=TABLE_METRICS,
        claims=[f"{RUN}/tables/claims.csv", f"{RUN}/tables/hitl_claims.csv"],
        few_shot=f"{RUN}/metrics/fewshot.csv",
        few_shot_predictions=FEWSHOT_PREDICTIONS,
        few_shot_splits=f"{FEWSHOT_DATA}/splits.parquet",
        few_shot_table=f"{RUN}/tables/fewshot.csv",
        detector_metrics=f"{RUN}/metrics/lenses.csv" if LENSES else [],
        detectors=LENSES.get("lens_table", []),
        hitl=f"{RUN}/tables/fig10_hitl.csv",
        objectives=f"{RUN}/metrics/objectives.csv",
        paper=workflow.source_path("../config/paper_values.csv"),
    output:
        text=f"{RUN}/tables/summary.md",
        verdicts=f"{RUN}/tables/verdicts.csv",
        page=report(
            f"{RUN}/tables/summary.html",
            caption="../report/summary.rst",
            category="0 Summary",
            labels={"what": "Paper and this run"},
        ),
    log:
        f"{LOGS}/make_summary.log",
    benchmark:
        f"{RUN}/benchmarks/make_summary.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        few_shot_models=config["fewshot"]["models"],
        in_use=MAIN_VARIANT,
        code=code_of("make_summary"),
    script:
        "../scripts/make_summary.py"


rule compare_with_paper:
    """Every number that the paper prints beside this run's, the report's front page."""
    input:
        metrics=TABLE_METRICS,
        detectors=f"{RUN}/metrics/lenses.csv" if LENSES else [],
        hitl=[f"{RUN}/metrics/hitl.csv", f"{RUN}/metrics/hitl_resnet18.csv"],
        searches=f"{RUN}/metrics/hitl_discovery.csv",
        verdicts=f"{RUN}/tables/verdicts.csv",
        paper=workflow.source_path("../config/paper_values.csv"),
    output:
        numbers=f"{RUN}/tables/paper_numbers.csv",
        data=f"{RUN}/tables/summary.json",
        front=f"{RUN}/tables/front.html",
    log:
        f"{LOGS}/compare_with_paper.log",
    benchmark:
        f"{RUN}/benchmarks/compare_with_paper.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        reasons=differences_of_size(config),
        code=code_of("compare_with_paper"),
    script:
        "../scripts/compare_with_paper.py"


def chapters_beside(wildcards):
    """Return the files of the chapters that the run has beside the images; targets.smk names them."""
    return [path for name in config["beside"] for path in CHAPTERS[name]]


rule record_provenance:
    """Versions, commit, config and machine of the run; time and peak memory of every rule."""
    input:
        TABLES.values(),
        FIGURES.values(),
        LENSES.values(),
        EXTENSIONS.values(),
        chapters_beside,
        f"{RUN}/tables/summary.json",
    output:
        data=f"{RUN}/tables/provenance.json",
        config=f"{RUN}/tables/config.yaml",
        page=report(
            f"{RUN}/tables/provenance.html",
            caption="../report/provenance.rst",
            category="0 Summary",
            labels={"what": "Provenance: versions, machine, time and memory"},
        ),
    log:
        f"{LOGS}/record_provenance.log",
    benchmark:
        f"{RUN}/benchmarks/record_provenance.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        config=config,
        code=code_of("record_provenance"),
    script:
        "../scripts/record_provenance.py"


rule draw_lvm:
    """Figures 1 and 2: the LVM and two of its Swin layers, from the config alone."""
    output:
        fig01=f"{RUN}/figures/fig01_lvm.pdf",
        fig01_png=report(
            f"{RUN}/figures/fig01_lvm.png",
            caption="../report/fig01.rst",
            category="3 Figures 1 to 4",
            labels={"what": "Figure 1: LVM"},
        ),
        fig02=f"{RUN}/figures/fig02_swin_layers.pdf",
        fig02_png=report(
            f"{RUN}/figures/fig02_swin_layers.png",
            caption="../report/fig02.rst",
            category="3 Figures 1 to 4",
            labels={"what": "Figure 2: Swin layers"},
        ),
    log:
        f"{LOGS}/draw_lvm.log",
    benchmark:
        f"{RUN}/benchmarks/draw_lvm.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        lvm=LVM_SHAPE,
        code=code_of("draw_lvm"),
    script:
        "../scripts/draw_lvm.py"


rule draw_multitask:
    """Figure 3: multitask training; the splits tell how many classes there are."""
    input:
        splits=f"{TASKS_DATA}/splits.parquet",
    output:
        figure=f"{RUN}/figures/fig03_multitask.pdf",
        png=report(
            f"{RUN}/figures/fig03_multitask.png",
            caption="../report/fig03.rst",
            category="3 Figures 1 to 4",
            labels={"what": "Figure 3: multitask training"},
        ),
    log:
        f"{LOGS}/draw_multitask.log",
    benchmark:
        f"{RUN}/benchmarks/draw_multitask.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        lvm=LVM_SHAPE,
        sections=TASK_SECTIONS,
        code=code_of("draw_multitask"),
    script:
        "../scripts/draw_multitask.py"


rule plot_reconstruction:
    """Figure 4, and examples of restored images."""
    input:
        crops=f"{TASKS_DATA}/crops.h5",
        splits=f"{TASKS_DATA}/splits.parquet",
        weights=f"{RUN}/models/multitask/multi_active_0.safetensors",
        baselines=f"{RUN}/metrics/baselines.csv",
    output:
        figure=f"{RUN}/figures/fig04_reconstruction.pdf",
        figure_png=report(
            f"{RUN}/figures/fig04_reconstruction.png",
            caption="../report/fig04.rst",
            category="3 Figures 1 to 4",
            labels={"what": "Figure 4: reconstruction"},
        ),
        restoration_figure=f"{RUN}/figures/restoration_examples.pdf",
        restoration_figure_png=report(
            f"{RUN}/figures/restoration_examples.png",
            caption="../report/restoration.rst",
            category="3 Figures 1 to 4",
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
        mem_mb=growing(4000),
        runtime=20,
    params:
        seed=config["seed"],
        n_image_val=config["baselines"]["n_image_val"],
        code=code_of("plot_reconstruction"),
    script:
        "../scripts/plot_reconstruction.py"


rule plot_strategies:
    """Shares, lags and scores of the tasks while training, by strategy."""
    input:
        strategies=expand(f"{RUN}/models/multitask/{{strategy}}_0_history.csv", strategy=STRATEGIES),
    output:
        figure=f"{RUN}/figures/multitask_training.pdf",
        png=report(
            f"{RUN}/figures/multitask_training.png",
            caption="../report/training.rst",
            category="4 Training",
            labels={"what": "Shares and lags of the tasks"},
        ),
    log:
        f"{LOGS}/plot_strategies.log",
    benchmark:
        f"{RUN}/benchmarks/plot_strategies.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        strategies=STRATEGIES,
        code=code_of("plot_strategies"),
    script:
        "../scripts/plot_strategies.py"


rule plot_objectives:
    """What the pretraining objectives taught, and the table."""
    input:
        variants=expand(f"{RUN}/models/pretrain/{{variant}}/history.csv", variant=TRAINED_VARIANTS),
        objectives=f"{RUN}/metrics/objectives.csv",
    output:
        figure=f"{RUN}/figures/objectives.pdf",
        png=report(
            f"{RUN}/figures/objectives.png",
            caption="../report/objectives.rst",
            category="4 Training",
            labels={"what": "Pretraining objectives"},
        ),
        table=f"{RUN}/tables/objectives.csv",
        table_html=report(
            f"{RUN}/tables/objectives.html",
            caption="../report/objectives.rst",
            category="4 Training",
            labels={"what": "Table of pretraining objectives"},
        ),
    log:
        f"{LOGS}/plot_objectives.log",
    benchmark:
        f"{RUN}/benchmarks/plot_objectives.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        variants=TRAINED_VARIANTS,
        in_use=MAIN_VARIANT,
        code=code_of("plot_objectives"),
    script:
        "../scripts/plot_objectives.py"


rule plot_confusion:
    """Confusion and calibration of the classifiers on test galaxies."""
    input:
        predictions=f"{RUN}/predictions/multitask.parquet",
    output:
        figure=f"{RUN}/figures/classification.pdf",
        png=report(
            f"{RUN}/figures/classification.png",
            caption="../report/classification.rst",
            category="4 Training",
            labels={"what": "Confusion and calibration"},
        ),
    log:
        f"{LOGS}/plot_confusion.log",
    benchmark:
        f"{RUN}/benchmarks/plot_confusion.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_confusion"),
    script:
        "../scripts/plot_confusion.py"


rule plot_disagreements:
    """Test galaxies whose label the networks contradict, and their list."""
    input:
        predictions=f"{RUN}/predictions/multitask.parquet",
        crops=f"{TASKS_DATA}/crops.h5",
    output:
        figure=f"{RUN}/figures/label_disagreements.pdf",
        png=report(
            f"{RUN}/figures/label_disagreements.png",
            caption="../report/disagreements.rst",
            category="4 Training",
            labels={"what": "Labels to look at again"},
        ),
        table=f"{RUN}/tables/label_disagreements.csv",
    log:
        f"{LOGS}/plot_disagreements.log",
    benchmark:
        f"{RUN}/benchmarks/plot_disagreements.tsv"
    conda:
        CPU_ENV
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        code=code_of("plot_disagreements"),
    script:
        "../scripts/plot_disagreements.py"
