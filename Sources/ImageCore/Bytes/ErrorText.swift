import Glibc

/// The C-locale text of an error number, as in `No such file or directory`.
package func errorText(_ errno: Int32) -> String {
  // strerror's buffer belongs to the C library and is per thread since glibc 2.32; it is copied at once.
  guard let text = unsafe strerror(errno) else { return "Unknown error \(errno)" }
  return unsafe String(cString: text)
}
