"""What the names of columns say: patterns over names without blanks and signs."""

import re


def plain(name: str) -> str:
    last = name.rsplit(".", 1)[-1] if re.fullmatch(r"[^ ]+\.[^ .]+", name) else name
    return re.sub(r"[\s_\-.#$()（）:：【】/]+", "", last).casefold()


USER = re.compile(
    r"(.*(app)?userid|uid|user|.*customerid|customer|clientid?|customeruserid|.*memberid|member|playerid|roleid|.*openid|buyerid|buyer|buyernick|"
    r"distinctid|kundennr|kundennummer|kunde|mitglied(snummer)?|localid|recordid|contactid|用户id|用户标识|用户编号|会员编号|会员id|会员号|会员卡号|"
    r"客户编号|客户id|买家会员名|买家id|买家账号|对方账户|下单[帐账]号|玩家id|账号id?|顾客编号)"
)
SECOND_USER = re.compile(
    r"(accountid|.*e?mail(address)?|邮箱|电子邮件|unionid|phone(number)?|mobile(phone)?|.*(手机号?码?|电话|手机)|callee|caller|source|.*客户?姓名|.*(customer|user|nick)name|昵称|.*昵称|姓名|name|客户名称)"
)
DEVICE = re.compile(r"(deviceid|anonymousid|userpseudoid|appsflyerid|visitorid|clientid|distinctid|cookieid|设备id)")
EVENT = re.compile(r"(eventname|event|eventtype|事件|事件名称?|业务类型|tlogtable|eventkey)")
SECOND_EVENT = re.compile(r"(type|action|name|activity|交易状态|交易类型|跟进方式|动作|行为|操作类型|操作)")
TIME = re.compile(
    r"(eventtime|eventtimestamp|timestamp|time|ts|happenedat|occurredat|at|datetime|时间|事件时间|交易时间|下单时间|.*订单创建时间|createdat|createddate.*|创建时间|bestelldatum|purchasedate|date|日期|dteventtime)"
)
FIRST_TIME = re.compile(r"(eventtime|eventtimestamp|timestamp|time|ts|dteventtime|事件时间|下单时间|交易时间)")
BIRTH = re.compile(r"(?i)birth|生日|出生")
LATER = {
    "refund": re.compile(r"(?i)refund|退款"),
    "pay": re.compile(r"(?i)paid|payment|付款|支付"),
    "cancel": re.compile(r"(?i)cancel|取消"),
}
ORDER_ID = re.compile(
    r"(?i)(order|invoice|transaction|receipt|trade|bestell)[ _-]?(id|no|nr|number|name|#)?\.?$|^name$|订单号|订单编号|单号|流水号"
)
WORDS = (
    ("call", re.compile(r"(?i)\bcall|calls|cdr|通话|呼叫|外呼")),
    ("order", re.compile(r"(?i)order|订单|bestell|lineitem|商品")),
    ("survey", re.compile(r"(?i)survey|答卷|问卷")),
    ("visit", re.compile(r"(?i)visit|消费记录|到店")),
    ("course", re.compile(r"(?i)\bkurs|course|课程")),
    ("payment", re.compile(r"(?i)payment|charge|支付|交易")),
    ("purchase", re.compile(r"(?i)purchase|transaction")),
)
EVENTISH = re.compile(r"(?i)order|订单|交易|payment|transaction|call|通话|答卷|消费记录|bestell|event|log\b")
