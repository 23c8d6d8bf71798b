import CLinux
import Glibc

/// How many cores this process may use: what the machine has, less what affinity and a control group take away.
public enum UsableCores {
  /// At least 1. A quota of 1.5 cores counts as 1: more threads than that would be stopped in the middle of their work.
  public static func count() -> Int {
    let affinity = Int(martlet_affinity_count())
    let cores = affinity > 0 ? affinity : max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    return count(cores: cores, root: "")
  }

  /// - Parameters:
  ///   - cores: those that affinity leaves.
  ///   - root: the directory that holds `/proc` and `/sys`.
  static func count(cores: Int, root: String) -> Int {
    let groups = contents(of: root + "/proc/self/cgroup") ?? ""
    let quota = quota(groups: groups) { contents(of: root + $0) }
    return max(1, quota.map { min(cores, Int($0)) } ?? cores)
  }

  /// The smallest quota in cores of the process's control groups and those above them; nil without one.
  ///
  /// `groups` is /proc/self/cgroup, `read` returns a file's text. Source: Linux, Documentation/admin-guide/cgroup-v2.rst
  /// (`cpu.max`) and scheduler/sched-bwc.rst (`cpu.cfs_quota_us`).
  static func quota(groups: String, read: (String) -> String?) -> Double? {
    var quotas: [Double] = []
    for line in groups.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      if fields[1].isEmpty {
        for path in pathAndAbove(fields[2]) {
          if let quota = read("/sys/fs/cgroup\(path)/cpu.max").flatMap(unifiedQuota) { quotas.append(quota) }
        }
      } else if fields[1].split(separator: ",").contains("cpu") {
        for path in pathAndAbove(fields[2]) {
          let group = "/sys/fs/cgroup/cpu\(path)"
          guard let quota = read("\(group)/cpu.cfs_quota_us").flatMap(number), quota > 0,
            let period = read("\(group)/cpu.cfs_period_us").flatMap(number), period > 0
          else { continue }
          quotas.append(quota / period)
        }
      }
    }
    return quotas.min()
  }

  /// "/a/b" gives "/a/b", "/a" and "".
  private static func pathAndAbove(_ path: Substring) -> [String] {
    let parts = path.split(separator: "/")
    return (0...parts.count).reversed().map { count in parts.prefix(count).map { "/\($0)" }.joined() }
  }

  /// "150000 100000" is 1.5 cores, "max 100000" is no quota.
  private static func unifiedQuota(_ text: String) -> Double? {
    let fields = text.split { $0 == " " || $0 == "\n" }
    guard fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]), quota > 0, period > 0 else {
      return nil
    }
    return quota / period
  }

  private static func number(_ text: String) -> Double? { Double(text.filter { !$0.isWhitespace }) }

  /// The text of a small file of the kernel's; nil when it cannot be read.
  private static func contents(of path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    let file = FileDescriptor(owning: descriptor)
    let text = [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, count in
      count = max(0, Glibc.read(file.rawValue, buffer.baseAddress, buffer.count))
    }
    return String(decoding: text, as: UTF8.self)
  }
}
