import Glibc
import ImageCore

occupyStandardDescriptors()
exit(run(processArguments()))
