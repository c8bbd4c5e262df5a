import Glibc
import ImageCore

occupyStandardDescriptors()
exit(O2Image.run(processArguments()))
