// swift-tools-version: 6.2
import PackageDescription

/// A libFuzzer target of one loader; builds with `--sanitize=fuzzer --sanitize=address` only (`Fuzz/loaders`).
func fuzzer(_ name: String) -> Target {
  .executableTarget(name: name, dependencies: ["LoaderFuzz"], swiftSettings: [.swiftLanguageMode(.v6)])
}

// A package of its own, so that building the server never builds this.
let package = Package(
  name: "LoaderFuzz",
  dependencies: [.package(name: "martlet", path: "../..")],
  targets: [
    .target(name: "CAllocations", path: "CAllocations"),
    .target(
      name: "LoaderFuzz",
      dependencies: ["CAllocations", .product(name: "MartletFormats", package: "martlet")],
      swiftSettings: [.swiftLanguageMode(.v6)]),
    fuzzer("FuzzONNX"), fuzzer("FuzzLightGBM"), fuzzer("FuzzXGBoostJSON"), fuzzer("FuzzXGBoostUBJSON"),
  ])
