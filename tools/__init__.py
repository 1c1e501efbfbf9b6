"""What only this repository runs: generated files, builders of bundled data, figures. Not in the wheel."""
