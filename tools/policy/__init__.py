"""`make policy`: the rules of the policy pack on what a stack declares, without engine, cluster or secrets."""
