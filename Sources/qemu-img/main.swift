import Glibc
import ImageCore

occupyStandardDescriptors()
exit(QemuImg.run(processArguments()))
