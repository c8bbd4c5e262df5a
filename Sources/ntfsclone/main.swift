import Glibc
import ImageCore

exit(Ntfsclone.run(processArguments()))
