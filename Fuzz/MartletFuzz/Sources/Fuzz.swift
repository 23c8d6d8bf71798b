import Glibc
import MartletCore
import MartletRepository
import MartletServices

/// Sends mutated calls and says what came of them.
@main
enum Fuzz {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count == 5, arguments[1] == "streams", let count = Int(arguments[2]),
      let seed = UInt64(arguments[3]), count > 0
    else {
      print("usage: MartletFuzz streams COUNT SEED MODELS")
      exit(64)
    }
    do throws(Status) {
      exit(try StreamRun(streams: count, seed: seed, models: arguments[4]).run() ? 0 : 1)
    } catch {
      print("FAILED: \(error)")
      exit(1)
    }
  }
}
