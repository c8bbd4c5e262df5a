import Glibc
import ImageCore

occupyStandardDescriptors()
exit(Ntfsclone.run(processArguments()))
