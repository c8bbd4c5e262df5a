import Glibc
import ImageCore

exit(E2Image.run(processArguments()))
