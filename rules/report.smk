"""Tables, figures and the report: views of the metrics, never a source of numbers.

Inputs: metrics/*.csv, trained weights, config/paper_values.csv.
Outputs: tables/*, figures/*, shown by `snakemake --report`.
Steps: make_tables, draw_diagrams, plot_survey, plot_reconstruction, plot_training.
"""


rule make_tables:
    """Tables 1 to 4 beside the paper's numbers, and whether the paper's claims hold here."""
    input:
        metrics=[f"{RUN}/metrics/baselines.csv", f"{RUN}/metrics/multitask.csv"],
        per_galaxy=[
            f"{RUN}/predictions/baselines_per_galaxy.parquet",
            f"{RUN}/predictions/multitask_per_galaxy.parquet",
        ],
        paper=workflow.source_path("../config/paper_values.csv"),
        code=workflow.source_path("../scripts/galaxy_lvm/evaluation/tables.py"),
    output:
        TABLES.values(),
        htmls=report(
            expand(
                f"{RUN}/tables/{{name}}.html",
                name=[
                    "table1_classification",
                    "table2_restoration",
                    "table3_reconstruction",
                    "table4_patch_size",
                ],
            ),
            caption="../report/tables.rst",
            category="3 Tables",
        ),
        summary=f"{RUN}/tables/summary.md",
        summary_html=report(
            f"{RUN}/tables/summary.html",
            caption="../report/summary.rst",
            category="0 Summary",
            labels={"what": "paper and this run"},
        ),
    log:
        f"{LOGS}/make_tables.log",
    benchmark:
        f"{RUN}/benchmarks/make_tables.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        CPU_ENV
    script:
        "../scripts/make_tables.py"
