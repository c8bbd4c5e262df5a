import CLinux

/// Lets the first SIGINT from now on be asked for instead of ending the process; a second one ends it.
package func watchInterrupts() { clinux_watch_interrupts() }

/// Whether a SIGINT came since this was last asked.
package func wasInterrupted() -> Bool { clinux_interrupted() != 0 }

/// Ends the process as SIGINT does.
package func dieOfInterrupt() { clinux_die_of_interrupt() }
