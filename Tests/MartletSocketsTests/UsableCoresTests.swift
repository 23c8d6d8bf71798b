import Foundation
import Testing

@testable import MartletSockets

@Suite("Usable cores")
struct UsableCoresTests {
  /// The quota when the files that exist are `files`.
  private func quota(_ groups: String, _ files: [String: String]) -> Double? {
    UsableCores.quota(groups: groups) { files[$0] }
  }

  @Test("the smallest quota of the unified hierarchy counts, wherever above it stands")
  func unified() {
    let files = [
      "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
      "/sys/fs/cgroup/cpu.max": "400000 100000\n",
    ]
    #expect(quota("0::/a/b\n", files) == 1.5)
    #expect(quota("0::/\n", files) == 4)
    #expect(quota("0::/other\n", files) == 4)
  }

  @Test("the old hierarchy has a file for quota and period each")
  func legacy() {
    let files = [
      "/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": "50000\n",
      "/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    ]
    #expect(quota("5:cpuset:/x\n4:cpu,cpuacct:/docker/1\n", files) == 0.5)
    #expect(quota("4:cpu,cpuacct:/\n", files) == nil)
  }

  @Test("no group, no file or nonsense in it is no quota")
  func none() {
    #expect(quota("", [:]) == nil)
    #expect(quota("0::/a\n", [:]) == nil)
    #expect(quota("0::/\nbroken\n", ["/sys/fs/cgroup/cpu.max": "nonsense"]) == nil)
    #expect(quota("0::/\n", ["/sys/fs/cgroup/cpu.max": "0 100000"]) == nil)
  }

  @Test("a quota takes cores away, one core's leaves one, as the files of a control group say")
  func directory() throws {
    let manager = FileManager.default
    let root = manager.temporaryDirectory.appendingPathComponent("martlet-cores-\(getpid())").path
    defer { try? manager.removeItem(atPath: root) }
    func write(_ path: String, _ text: String) throws {
      let file = root + path
      try manager.createDirectory(
        atPath: URL(fileURLWithPath: file).deletingLastPathComponent().path, withIntermediateDirectories: true)
      try text.write(toFile: file, atomically: false, encoding: .utf8)
    }
    #expect(UsableCores.count(cores: 8, root: root) == 8)
    try write("/proc/self/cgroup", "0::/kubepods/pod1\n")
    #expect(UsableCores.count(cores: 8, root: root) == 8)
    try write("/sys/fs/cgroup/kubepods/pod1/cpu.max", "max 100000\n")
    try write("/sys/fs/cgroup/kubepods/cpu.max", "250000 100000\n")
    #expect(UsableCores.count(cores: 8, root: root) == 2)
    for quota in ["100000", "50000", "199999"] {
      try write("/sys/fs/cgroup/kubepods/pod1/cpu.max", "\(quota) 100000\n")
      #expect(UsableCores.count(cores: 8, root: root) == 1)
    }
    try write("/sys/fs/cgroup/kubepods/pod1/cpu.max", "2000000 100000\n")
    try write("/sys/fs/cgroup/kubepods/cpu.max", "max 100000\n")
    #expect(UsableCores.count(cores: 8, root: root) == 8)
    try write("/proc/self/cgroup", "9:name=systemd:/\n1:cpu,cpuacct:/docker/1\n0::/\n")
    try write("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "300000\n")
    try write("/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n")
    #expect(UsableCores.count(cores: 8, root: root) == 3)
  }

  @Test("there is at least one core")
  func count() { #expect(UsableCores.count() >= 1) }
}
