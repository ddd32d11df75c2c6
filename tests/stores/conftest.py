import pytest

pytest.register_assert_rewrite("postlude.testing.conformance")
