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

  @Test("there is at least one core")
  func count() { #expect(UsableCores.count() >= 1) }
}
