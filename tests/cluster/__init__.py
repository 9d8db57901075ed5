"""Two hosts on one machine, a real `ray up`, and what must hold on them: `make cluster-test`."""
