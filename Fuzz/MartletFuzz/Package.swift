// swift-tools-version: 6.2
import PackageDescription

/// A libFuzzer target; builds with `--sanitize=fuzzer --sanitize=address` only (`Fuzz/rpc`).
func fuzzer(_ name: String) -> Target {
  .executableTarget(name: name, dependencies: ["FuzzKit"], swiftSettings: [.swiftLanguageMode(.v6)])
}

// A package of its own, so that building the server never builds this.
let package = Package(
  name: "MartletFuzz",
  dependencies: [
    .package(name: "martlet", path: "../.."),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
  ],
  targets: [
    .systemLibrary(name: "CMalloc", path: "CMalloc"),
    .target(
      name: "FuzzKit",
      dependencies: [
        "CMalloc", .product(name: "MartletServices", package: "martlet"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    .executableTarget(name: "MartletFuzz", dependencies: ["FuzzKit"], swiftSettings: [.swiftLanguageMode(.v6)]),
    fuzzer("FuzzFrames"), fuzzer("FuzzMessages"), fuzzer("FuzzServer"),
  ])
