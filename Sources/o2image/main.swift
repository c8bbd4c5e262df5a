import Glibc
import ImageCore

exit(O2Image.run(processArguments()))
