"""How the page for people looks: HTML in which every value is escaped, in both languages, with no scripts."""

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from mcp_server.operations.approving import Consent, doubt
from mcp_server.text import Language, Text

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "h1{font-size:1.4rem}article{border:1px solid #bbb;border-radius:6px;padding:.8rem 1rem;margin:1rem 0}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:.6rem;font:inherit;margin:.6rem 0}"
    ".head{color:#444;margin:0;overflow-wrap:anywhere}.said{border-left:4px solid #176f2c;padding:.4rem .8rem;white-space:pre-wrap}"
    ".wrong{border-color:#b00020}.doubt{color:#b00020}form{display:inline}button{font:inherit;padding:.3rem .9rem;margin-right:.6rem}"
    "input{font:inherit;width:100%;box-sizing:border-box;margin:.4rem 0}"
)
STYLE_HASH: Final = f"sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}"
"""What the content security policy lets through: these styles and no others."""

_WORD = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]{1,40})?\s*(?:;\s*q=([01](?:\.[0-9]{1,3})?)\s*)?")

_TITLE = Text("Acts that wait for approval", "待批准的操作")
_NONE = Text("Nothing waits for approval.", "没有待批准的操作。")
_WHO = Text(
    "{id}: {tool}, project {project}, asked for by {name} ({known}) at {at}, until {until}",
    "{id}：{tool}，项目 {project}，由 {name}（{known}）于 {at} 发起，{until} 前有效",
)
_SIGNED_IN = Text("Signed in as {who}.", "已登录：{who}。")
_APPROVE = Text("Approve and carry out", "批准并执行")
_DECLINE = Text("Decline", "拒绝")
_OUT = Text("Sign out", "退出登录")
_IN = Text("Sign in", "登录")
_TOKEN = Text("Approval token", "审批令牌")
_WHERE_FROM = Text(
    "Whoever runs the server makes one with: fenqun token add NAME --scope approve --project N. Keep it from assistants "
    "and other programs.",
    "由服务的运行者通过命令创建：fenqun token add NAME --scope approve --project N。请勿将其交给助手或其他程序。",
)


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def html(template: str, **values: str) -> Html:
    """A piece of markup. What is put in is escaped, for text and for attributes in quotes, unless it is markup itself."""
    return Html(template.format(**{n: v if isinstance(v, Html) else escape(v, quote=True) for n, v in values.items()}))


def language_of(accepted: str, default: Language) -> Language:
    """The language of a reader: what his browser prefers (RFC 9110 section 12.5.4), else that of the server."""
    best: tuple[float, Language] = (0.0, default)
    for part in accepted[:200].split(","):
        found = _WORD.fullmatch(part)
        weight = float(found[2] or 1) if found else 0.0
        word = found[1].lower() if found else ""
        language: Language | None = "zh" if word == "zh" else "en" if word == "en" else None
        if language and weight > best[0]:
            best = (weight, language)
    return best[1]


def document(body: Html, language: Language) -> str:
    """A whole page."""
    return html(
        '<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8"><title>fenqun · {title}</title>'
        '<meta name="viewport" content="width=device-width"><style>{style}</style></head>'
        "<body><h1>{title}</h1>\n{body}\n</body></html>\n",
        lang=language,
        title=_TITLE.say(language),
        style=Html(STYLE),
        body=body,
    )


def sign_in(language: Language, *, action: str, said: str) -> Html:
    """The form that asks for the token."""
    return html(
        '{said}<form method="post" action="{action}"><label>{label}'
        '<input type="password" name="token" autocomplete="off" required></label><button>{button}</button></form><p>{hint}</p>',
        said=_said(said, wrong=False),
        action=action,
        label=_TOKEN.say(language),
        button=_IN.say(language),
        hint=_WHERE_FROM.say(language),
    )


def waiting(
    found: Sequence[Consent], language: Language, *, action: str, csrf: str, who: str, said: str, wrong: bool
) -> Html:
    """What waits, each with its question and two buttons; above it what came of the last decision."""
    acts = [_act(consent, language, action=action, csrf=csrf) for consent in found]
    none = html("<p>{none}</p>", none=_NONE.say(language))
    return html(
        '{said}{acts}<div>{who} <form method="post" action="{action}/leave">{csrf}<button>{out}</button></form></div>',
        said=_said(said, wrong=wrong),
        acts=Html("\n".join(acts)) if acts else none,
        who=_SIGNED_IN.format(who=who).say(language),
        action=action,
        csrf=_hidden(csrf),
        out=_OUT.say(language),
    )


def _act(consent: Consent, language: Language, *, action: str, csrf: str) -> Html:
    head = _WHO.format(
        id=consent.id,
        tool=consent.tool,
        project=consent.project,
        name=consent.name,
        known=consent.known,
        at=_local(consent.created_at),
        until=_local(consent.expires_at),
    )
    known = doubt(consent).say(language)
    yes = html('<button name="decision" value="approve">{approve}</button>', approve=_APPROVE.say(language))
    return html(
        '<article><p class="head">{head}</p>{known}<pre lang="{lang}">{question}</pre>'
        '<form method="post" action="{action}/{id}">{csrf}<button name="decision" value="decline">{decline}</button>'
        "{yes}</form></article>",
        head=head.say(language),
        known=html('<p class="head doubt">{known}</p>', known=known) if known else Html(""),
        lang=consent.language,
        question=consent.question,
        action=action,
        id=consent.id,
        csrf=_hidden(csrf),
        decline=_DECLINE.say(language),
        yes=Html("") if consent.asker == "gone" else yes,
    )


def _hidden(csrf: str) -> Html:
    return html('<input type="hidden" name="csrf" value="{csrf}">', csrf=csrf)


def _said(said: str, *, wrong: bool) -> Html:
    kind = "said wrong" if wrong else "said"
    return html('<p class="{kind}" role="status">{said}</p>', kind=kind, said=said) if said else Html("")


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %z")
