import Glibc
import ImageCore

exit(run(processArguments()))
