import FuzzKit
import Glibc
import MartletCore

/// Sends mutated calls and says what came of them.
@main
enum Fuzz {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count >= 5, let count = Int(arguments[2]), let seed = UInt64(arguments[3]), count > 0 else {
      usage()
    }
    do throws(Status) {
      switch arguments[1] {
      case "streams" where arguments.count == 5:
        exit(try StreamRun(streams: count, seed: seed, models: arguments[4]).run() ? 0 : 1)
      case "sockets" where arguments.count == 8:
        guard let server = Int32(arguments[5]), let port = UInt16(arguments[7]) else { usage() }
        let targets: [HostileConnection.Target] = [.unix(path: arguments[6]), .tcp(port: port)]
        let run = SocketRun(streams: count, seed: seed, models: arguments[4], server: server, targets: targets)
        exit(try run.run() ? 0 : 1)
      case "seeds" where arguments.count == 5:
        try FuzzSeeds(count: count, seed: seed).write(to: arguments[4])
        exit(0)
      default: usage()
      }
    } catch {
      print("FAILED: \(error)")
      exit(1)
    }
  }

  private static func usage() -> Never {
    print("usage: MartletFuzz streams COUNT SEED MODELS")
    print("       MartletFuzz seeds COUNT SEED DIRECTORY")
    print("       MartletFuzz sockets COUNT SEED MODELS SERVER-PID SOCKET-PATH PORT")
    exit(64)
  }
}
