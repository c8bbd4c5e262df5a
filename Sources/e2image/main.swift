import Glibc
import ImageCore

occupyStandardDescriptors()
exit(E2Image.run(processArguments()))
