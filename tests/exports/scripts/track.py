"""Two sessions of a small search that MLflow and wandb follow; prints what MLflow holds, and the result.

Arguments: where the package is installed, and a folder. MLflow's file store and wandb's offline files lie there.
"""

import json
import os
import site
import sys
from pathlib import Path


def main(packages: str, folder: Path) -> None:
    """Search, then print what is held."""
    os.environ |= {
        "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
    }
    site.addsitedir(packages)  # behind this environment's own: its libraries are those that are tried

    from mlflow.tracking import MlflowClient

    from autodata import optimize
    from autodata.examples import documents_folder
    from autodata.models.simulated.world import META_WORLD

    given = {
        "models": {"default": "simulated:strong", "weak_solver": "simulated:weak"},
        "preset": "meta",
        "config": {"simulated": META_WORLD.model_dump(), "optimize": {"wave": 2}},
        "minibatch": 2,
        "max_rounds": 1,
        "track": ["mlflow", "wandb"],
        "progress": False,
    }
    papers = sorted(documents_folder().glob("*.md"))
    for iterations in (1, 2):
        result = optimize(papers[:2], papers[2:], out=folder / "search", iterations=iterations, **given)

    client = MlflowClient()
    (experiment,) = [one for one in client.search_experiments() if one.name == "autodata"]
    runs = client.search_runs([experiment.experiment_id])
    print(
        json.dumps(
            {
                "runs": len(runs),
                "status": runs[0].info.status,
                "params": runs[0].data.params,
                "metrics": {
                    name: [(one.step, one.value) for one in client.get_metric_history(runs[0].info.run_id, name)]
                    for name in runs[0].data.metrics
                },
                "notes": list(result.notes),
                "rate": result.rate,
                "interval": result.interval,
                "calls": result.usage.calls,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
