"""Columns that several result tables share, by what they hold."""

from __future__ import annotations

from typing import Any

TableRow = dict[str, Any]  # one row of a results table: values by column name

# the shared parameters alone, or shared and private together; on a client's own distribution, or on the
# global one
ACCURACIES = ("acc_shared_own", "acc_shared_global", "acc_personal_own", "acc_personal_global")
RESULT_COLUMNS = (*ACCURACIES, "worst_client_accuracy", "p10_client_accuracy")

# what needs no federated training: every client always names its own most frequent class, and the backbone's
# zero-shot
FLOORS = ("majority", "zeroshot")
FLOOR_COLUMNS = tuple(f"acc_{floor}_{place}" for floor in FLOORS for place in ("own", "global"))

# clients that enter the mean of `acc_personal_own`, and clients that were evaluated
COUNT_COLUMNS = ("clients_measured", "clients_evaluated")

# measured where the experiment holds out clients or classes, else None
OPTIONAL_COLUMNS = (
    "acc_shared_newcomers",
    "acc_personal_newcomers",
    *(f"acc_{floor}_newcomers" for floor in FLOORS),
    "acc_base",
    "acc_novel",
    "acc_harmonic",
)
MEASURED_COLUMNS = (*RESULT_COLUMNS, *FLOOR_COLUMNS, *COUNT_COLUMNS, *OPTIONAL_COLUMNS)

# of a round; a run's totals are their sums
TRAFFIC_COLUMNS = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down")
FLOPS_COLUMNS = ("flops", "flops_server")  # of the clients; of the server's own work on its samples
TOTAL_COLUMNS = (*TRAFFIC_COLUMNS, *FLOPS_COLUMNS, "seconds")
