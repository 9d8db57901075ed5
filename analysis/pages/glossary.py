"""The words of a report, with their meanings."""

from __future__ import annotations

WORDS = {
    "anchor": "The configuration around which choices are changed: the paper's values, guesses where it "
    "gives none.",
    "choice": "A setting that the paper leaves open; its tried values are its levels.",
    "level": "One tried value of a choice. As a verdict: the whole interval lies within one point of zero.",
    "contrast": "A level of one choice minus the anchor, everything else equal, on the same seeds.",
    "rival": "Another method, run beside the method under study on the same data and seeds.",
    "lead": "The method minus a rival, at the anchor or at a level of a choice.",
    "floor": "What needs no federated training: naming each client's most frequent class (the trivial "
    "rule), and zero-shot. A method below a floor is of no use there.",
    "own": "Measured on a client's own distribution: the common images, weighted by the client's classes "
    "and domains.",
    "global": "Measured on the common split, every image counted alike.",
    "personal": "With the shared parameters and the client's private ones together.",
    "confirmed": "Run again on fresh seeds that no earlier stage saw; only then the test split is opened.",
    "tuned": "Chosen by at least the declared number of search trials; else best of N trials, or untuned.",
    "transfer": "A configuration tuned under one scenario and used under another.",
    "scenario": "How the data meet the clients: who holds which classes and domains, and how many images.",
    "ahead": "The adjusted interval of the difference lies above zero and reaches beyond one point; "
    "behind: below.",
    "negligible": "A difference that is shown, and lies within one point.",
    "no effect": "Identical runs, seed by seed.",
    "diverges": "At least half of the seeds ended without a finite number.",
    "undecided": "Anything else: the seeds that ran do not tell.",
    "adjusted": "Widened for the number of differences that are looked at together (false coverage rate), so "
    "that a difference keeps its 90 % although it was picked as one of many.",
}
