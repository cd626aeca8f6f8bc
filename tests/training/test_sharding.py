"""A shared generator goes to its device block after block: what a block is."""

from __future__ import annotations

from torch import nn

from advtasks.training.sharding import blocks


class Parts(nn.Module):
    """Lists of its own, nested and with a member without parameters, beside a part that has one within."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 4, 3)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 3)))
        self.heads = nn.ModuleList([nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 2)])])
        self.part = nn.Module()
        self.part.inner = nn.Sequential(nn.Linear(2, 2))


def test_blocks_are_the_members_of_a_networks_own_lists() -> None:
    network = Parts()
    assert blocks(network) == [network.body[0], network.body[2][0], network.heads[0], network.heads[1][0]]
    alone = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert blocks(alone) == [*alone]
    assert blocks(nn.Linear(2, 2)) == []


def test_blocks_with_a_common_parameter_are_gathered_together() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    assert blocks(network) == []
    again = nn.Linear(2, 2)
    assert blocks(nn.Sequential(again, nn.ReLU(), again)) == [again], "one block, called twice"
