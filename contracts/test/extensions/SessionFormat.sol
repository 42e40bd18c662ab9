// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {Attestation, Permission, Rule} from "./IExtensions.sol";

/// @notice A second, slow reading of the format's description of sessions.
library SessionFormat {
    /// @notice The leaf of one session key, as it is encoded; its hash is over the same bytes.
    function permissions(
        address signer,
        uint256 chainId,
        uint256 valueLimit,
        uint64 deadline,
        Permission[] memory list
    ) internal pure returns (bytes memory out) {
        out = abi.encodePacked(uint8(0), signer, chainId, valueLimit, deadline, uint8(list.length));
        for (uint256 i; i < list.length; ++i) {
            out = abi.encodePacked(out, list[i].target, uint8(list[i].rules.length));
            for (uint256 j; j < list[i].rules.length; ++j) {
                Rule memory rule = list[i].rules[j];
                uint8 flags = rule.operation << 1 | (rule.cumulative ? 1 : 0);
                out = abi.encodePacked(out, flags, rule.value, rule.offset, rule.mask);
            }
        }
    }

    function blacklist(address[] memory list) internal pure returns (bytes memory out) {
        out = list.length <= 14
            ? abi.encodePacked(uint8(0x30 | list.length))
            : abi.encodePacked(uint8(0x3f), uint16(list.length));
        for (uint256 i; i < list.length; ++i) {
            out = abi.encodePacked(out, list[i]);
        }
    }

    function identity(address signer) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(0x40), signer);
    }

    function branch(bytes memory items) internal pure returns (bytes memory) {
        return items.length < 256
            ? abi.encodePacked(hex"21", uint8(items.length), items)
            : abi.encodePacked(hex"22", uint16(items.length), items);
    }

    function attestation(Attestation memory a) internal pure returns (bytes memory) {
        return abi.encodePacked(
            a.approvedSigner,
            a.identityType,
            a.issuerHash,
            a.audienceHash,
            uint24(a.applicationData.length),
            a.applicationData,
            uint24(bytes(a.authData.redirectUrl).length),
            a.authData.redirectUrl,
            a.authData.issuedAt
        );
    }

    function ruleUsage(address signer, Permission memory permission, uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode(signer, permission, index));
    }

    function valueUsage(address signer) internal pure returns (bytes32) {
        return keccak256(abi.encode(signer, 0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE));
    }
}
