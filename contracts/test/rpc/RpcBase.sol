// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Base} from "../Base.sol";
import {Call, Decoded} from "../IWallet.sol";

/// @notice The part of forge's test machine that asks a server and writes text.
interface RpcVm {
    function rpc(string calldata url, string calldata method, string calldata params) external returns (bytes memory);
    function envOr(string calldata name, string calldata otherwise) external view returns (string memory);
    function skip(bool yes) external;
    function warp(uint256 timestamp) external;
    function toString(address value) external pure returns (string memory);
    function toString(bytes calldata value) external pure returns (string memory);
    function toString(bytes32 value) external pure returns (string memory);
    function toString(uint256 value) external pure returns (string memory);
}

/// @notice Has `keyfold rpc` make every hash and encoding, and the contracts judge them. Skipped unless
/// KEYFOLD_RPC names the server: `make conformance` starts it.
abstract contract RpcBase is Base {
    RpcVm internal constant machine = RpcVm(address(uint160(uint256(keccak256("hevm cheat code")))));

    string private url;

    function setUp() public virtual override {
        url = machine.envOr("KEYFOLD_RPC", "");
        machine.skip(bytes(url).length == 0);
        super.setUp();
    }

    // ─── Asking ─────────────────────────────────────────────────────────────────────────────────────

    function ask(string memory method, string memory params) internal returns (bytes memory) {
        return machine.rpc(url, method, string.concat("{", params, "}"));
    }

    /// @dev For results that are JSON: they come as hex of their text, which forge turns into bytes.
    function askJson(string memory method, string memory params) internal returns (string memory) {
        return string(ask(method, params));
    }

    function askWord(string memory method, string memory params) internal returns (bytes32) {
        return abi.decode(ask(method, params), (bytes32));
    }

    // ─── Writing parameters ─────────────────────────────────────────────────────────────────────────

    function text(string memory name, string memory value) internal pure returns (string memory) {
        return string.concat('"', name, '":"', value, '"');
    }

    function raw(string memory name, string memory value) internal pure returns (string memory) {
        return string.concat('"', name, '":', value);
    }

    function join(string memory a, string memory b) internal pure returns (string memory) {
        return string.concat(a, ",", b);
    }

    function join(string memory a, string memory b, string memory c) internal pure returns (string memory) {
        return string.concat(a, ",", b, ",", c);
    }

    function str(address value) internal pure returns (string memory) {
        return machine.toString(value);
    }

    function str(bytes32 value) internal pure returns (string memory) {
        return machine.toString(value);
    }

    function str(bytes memory value) internal pure returns (string memory) {
        return machine.toString(value);
    }

    function str(uint256 value) internal pure returns (string memory) {
        return machine.toString(value);
    }

    /// @dev `r:s:v`.
    function rsv(uint256 key, bytes32 hash) internal pure returns (string memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return string.concat(str(r), ":", str(s), ":", str(uint256(v)));
    }

    function part(uint256 key, string memory kind, bytes32 hash) internal pure returns (string memory) {
        return string.concat(str(vm.addr(key)), ":", kind, ":", rsv(key, hash));
    }

    // ─── What most tests need ───────────────────────────────────────────────────────────────────────

    function newConfig(uint256 threshold, uint256 checkpoint, string memory content) internal returns (string memory) {
        return askJson(
            "config_new",
            string.concat(
                join(text("threshold", str(threshold)), text("checkpoint", str(checkpoint)), text("from", "flat")),
                ",",
                text("content", content)
            )
        );
    }

    function imageOf(string memory config) internal returns (bytes32) {
        return askWord("config_imageHash", raw("input", config));
    }

    function hashBy(Decoded memory payload, address wallet, uint256 chainId) internal returns (bytes32) {
        return askWord(
            "payload_hashFor",
            join(text("wallet", str(wallet)), text("chainId", str(chainId)), text("payload", str(abi.encode(payload))))
        );
    }

    function packed(Decoded memory payload) internal returns (bytes memory) {
        return ask("payload_toPacked", text("payload", str(abi.encode(payload))));
    }

    function signature(string memory config, string memory parts, bool withChain) internal returns (bytes memory) {
        string memory flag = raw("chainId", withChain ? "true" : "false");
        return ask("signature_encode", join(raw("input", config), text("signatures", parts), flag));
    }

    function extension(string memory name) internal returns (address) {
        bytes memory code = vm.getCode(string.concat("artifacts/", name, ".json"));
        (bool success, bytes memory answer) = DEPLOYER.call(bytes.concat(bytes32(0), code));
        check(success, name);
        return address(bytes20(answer));
    }
}
