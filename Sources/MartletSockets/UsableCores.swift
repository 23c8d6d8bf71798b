import CLinux
import Foundation

/// How many cores this process may use.
public enum UsableCores {
  /// The cores of the affinity mask, or fewer where a cgroup's quota allows less time; at least 1.
  public static func count() -> Int {
    let affinity = max(1, Int(martlet_affinity_count()))
    guard let quota = cgroupQuota() else { return affinity }
    return max(1, min(affinity, Int(quota.rounded(.up))))
  }

  /// Cores' worth of time a second, from cgroup v2 or v1; nil without a limit.
  static func cgroupQuota() -> Double? {
    if let text = try? String(contentsOfFile: "/sys/fs/cgroup/cpu.max", encoding: .utf8) { return parse(cpuMax: text) }
    guard let quota = number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), quota > 0,
      let period = number("/sys/fs/cgroup/cpu/cpu.cfs_period_us"), period > 0
    else { return nil }
    return quota / period
  }

  /// `cpu.max` of cgroup v2: quota and period in microseconds, "max" for no quota.
  static func parse(cpuMax text: String) -> Double? {
    let parts = text.split(whereSeparator: \.isWhitespace)
    guard parts.count == 2, let quota = Double(parts[0]), let period = Double(parts[1]), quota > 0, period > 0 else {
      return nil
    }
    return quota / period
  }

  private static func number(_ path: String) -> Double? {
    // A file that is not there is a system without such a limit.
    (try? String(contentsOfFile: path, encoding: .utf8)).flatMap {
      Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
  }
}
