"""One file per family, each composed from the lower floors and readable beside its paper."""
