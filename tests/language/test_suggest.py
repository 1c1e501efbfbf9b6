"""The nearest name for one that was not found."""

import pytest

from mcp_server.language.suggest import likeness, nearest, one_sign_apart


@pytest.mark.parametrize(
    ("asked", "name"),
    [("登陆", "登录"), ("帐号", "账号"), ("冲值金额", "充值金额"), ("定单", "订单"), ("城事", "城市")],
)
def test_signs_of_the_same_sound_are_one_name(asked: str, name: str) -> None:
    assert nearest(asked, ["注册", name, "金额"]) == name
    assert likeness(asked, name) < likeness(name, name)


def test_another_word_with_a_common_sign_is_not_suggested() -> None:
    assert nearest("登出", ["登录"]) == ""


@pytest.mark.parametrize(
    ("asked", "name", "apart"),
    [
        ("登入", "登录", True),
        ("新手引导", "新手引到", True),
        ("登录", "登录", False),
        ("登", "录", False),
        ("注册", "登录", False),
        ("登录时间", "登录", False),
        ("ab", "ac", False),
    ],
)
def test_short_chinese_words_may_be_one_sign_apart(asked: str, name: str, apart: bool) -> None:
    assert one_sign_apart(asked, name) is apart
