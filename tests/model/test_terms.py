"""What a call says of its job."""

from postlude.model.terms import Given, Terms


def test_each_call_says_its_own_and_leaves_the_rest() -> None:
    policy = Terms(5, -1, True, key="k", given=Given("opts"))
    said = Terms(5, -1, True, key="k", concurrency_key="c", rated=True, given=Given("opts", "context"))
    assert policy.of_call("c", True, "context") == said
    assert policy.of_call(None, False, None) == policy
    assert policy.keyed("l") == policy._replace(key="l")
