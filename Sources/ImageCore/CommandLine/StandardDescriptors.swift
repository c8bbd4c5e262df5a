import CLinux

/// Keeps files from getting the numbers of standard input, output or error where the caller has closed these: what is
/// printed would be written into the image. Reading and writing them fails as if they were closed (`EBADF`).
package func occupyStandardDescriptors() { clinux_occupy_standard_descriptors() }
