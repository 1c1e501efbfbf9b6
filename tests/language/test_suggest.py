"""The nearest name for one that was not found."""

import pytest

from mcp_server.language.names import NameLimits, name_findings, name_from
from mcp_server.language.suggest import likeness, nearest, one_sign_apart, same_value


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


@pytest.mark.parametrize(
    ("display_name", "number", "name"),
    [
        ("高价值用户", 1, "gaojiazhiyonghu"),
        ("Big spenders!", 1, "big_spenders"),
        ("VIP", 2, "vip_2"),
        ("2026 双十一", 1, "cluster_2026_shuangshiyi"[:24]),
        ("!!!", 1, "cluster"),
        ("a" * 50, 12, "a" * 21 + "_12"),
    ],
)
def test_a_name_is_made_from_a_display_name(display_name: str, number: int, name: str) -> None:
    made = name_from(display_name, NameLimits(), number)
    assert made == name
    assert list(name_findings(made, NameLimits())) == []


@pytest.mark.parametrize(
    ("asked", "values", "same"),
    [
        ("Shanghai", ["Hangzhou", "上海", "北京"], "上海"),
        ("杭州", ["Hangzhou", "上海"], "Hangzhou"),
        ("上海市", ["上海", "北京"], "上海"),
        ("Hong Kong", ["香港", "Hangzhou"], "香港"),
        ("Suzhou", ["Fuzhou", "Hangzhou"], ""),
        ("南京", ["北京"], ""),
        ("Ｃｈｅｎｇｄｕ", ["Chengdu"], "Chengdu"),
        ("coffe", ["coffee", "tea"], "coffee"),
        ("level3", ["level4"], ""),
        ("Beijing", ["beijing", "BEIJING"], ""),
    ],
)
def test_a_value_is_suggested_only_where_it_is_the_same(asked: str, values: list[str], same: str) -> None:
    assert same_value(asked, values) == same
