// Preloaded into a tool under test (LD_PRELOAD); see FaultInjection.c.
