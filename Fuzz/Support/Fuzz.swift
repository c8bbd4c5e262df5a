import Bytes
import CFuzzer
import Glibc

/// What is called with every input. A C function pointer cannot carry it, hence the global; set once, before the loop.
nonisolated(unsafe) private var test: (RawSpan) -> Void = { _ in }

/// Runs libFuzzer's loop over `body` with the process's arguments, and does not return.
package func fuzz(_ body: @escaping (RawSpan) -> Void) -> Never {
  unsafe test = body
  var count = CommandLine.argc
  var arguments = unsafe CommandLine.unsafeArgv as UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
  let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
    // libFuzzer keeps the input alive and unchanged for the length of the call.
    unsafe test(UnsafeRawBufferPointer(start: data, count: size).bytes)
    return 0
  }
  exit(status)
}
