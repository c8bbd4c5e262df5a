import Glibc
import ImageCore

exit(QemuImg.run(processArguments()))
