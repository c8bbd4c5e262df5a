import Bytes
import CLinux

/// What a line of the snapshot table shows.
package struct SnapshotRow: Sendable {
  package var id: String
  package var name: String
  /// Bytes of the saved machine state.
  package var stateSize: UInt64
  /// Seconds since 1970.
  package var date: UInt32
  /// Nanoseconds of guest time.
  package var clock: UInt64
  package var instructionCount: UInt64?

  package init(
    id: String, name: String, stateSize: UInt64, date: UInt32, clock: UInt64, instructionCount: UInt64?
  ) {
    self.id = id
    self.name = name
    self.stateSize = stateSize
    self.date = date
    self.clock = clock
    self.instructionCount = instructionCount
  }
}

/// The table of internal snapshots with its heading, each line with its newline (qemu-img-cli-1 §8.4).
package func snapshotTable(_ rows: [SnapshotRow]) -> String {
  var text =
    padded("ID", to: 10) + padded("TAG", to: 17) + rightAligned("VM SIZE", to: 8) + rightAligned("DATE", to: 20)
    + rightAligned("VM CLOCK", to: 13) + rightAligned("ICOUNT", to: 11) + "\n"
  for row in rows {
    text +=
      padded(row.id, to: 9) + " " + padded(row.name, to: 16) + " "
      + rightAligned(humanSize(row.stateSize), to: 8) + rightAligned(localDate(row.date), to: 20)
      + rightAligned(clock(row.clock), to: 13)
      + rightAligned(row.instructionCount.map { String(Int64(bitPattern: $0)) } ?? "", to: 11) + "\n"
  }
  return text
}

/// `%Y-%m-%d %H:%M:%S` in the time zone of the environment.
private func localDate(_ seconds: UInt32) -> String {
  let time = clinux_local_time(Int64(seconds))
  guard time.valid != 0 else { return "" }
  return zeroPadded(time.year, to: 4) + "-" + zeroPadded(time.month, to: 2) + "-" + zeroPadded(time.day, to: 2) + " "
    + zeroPadded(time.hour, to: 2) + ":" + zeroPadded(time.minute, to: 2) + ":" + zeroPadded(time.second, to: 2)
}

/// `%02d:%02d:%02d.%03d`, hours unbounded.
private func clock(_ nanoseconds: UInt64) -> String {
  let milliseconds = nanoseconds / 1_000_000
  let seconds = milliseconds / 1000
  return zeroPadded(seconds / 3600, to: 2) + ":" + zeroPadded(seconds / 60 % 60, to: 2) + ":"
    + zeroPadded(seconds % 60, to: 2) + "." + zeroPadded(milliseconds % 1000, to: 3)
}
